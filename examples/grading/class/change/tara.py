# expect: RTE
values = []
print(values[0])
