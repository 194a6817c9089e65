# expect: WA
amount, _ = map(int, input().split())
coins = 0
for value in sorted(map(int, input().split()), reverse=True):
    coins += amount // value
    amount %= value
print("impossible" if amount else coins)
