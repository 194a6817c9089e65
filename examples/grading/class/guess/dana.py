# expect: JE
print('9' * 5000, flush=True)
print(input())
