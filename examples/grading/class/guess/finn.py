# expect: RTE
print(500, flush=True)
print(1 // (len(input()) - len('lower')))
