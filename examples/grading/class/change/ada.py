# expect: AC
amount, _ = map(int, input().split())
values = list(map(int, input().split()))
fewest = [0] + [amount + 1] * amount
for value in values:
    for part in range(value, amount + 1):
        if fewest[part - value] + 1 < fewest[part]:
            fewest[part] = fewest[part - value] + 1
print(fewest[amount] if fewest[amount] <= amount else "impossible")
