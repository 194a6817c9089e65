amount, _ = map(int, input().split())
values = list(map(int, input().split()))
print({30: 3}[amount])
