# expect: WA
print('five hundred', flush=True)
print(input())
