# expect: MLE
amount, _ = map(int, input().split())
table = [[0] * 50_000 for _ in range(50_000)]
print(len(table))
