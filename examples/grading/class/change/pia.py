# expect: MLE
amount, _ = map(int, input().split())
table = [b"\1" * 100_000_000 for _ in range(50)]
print(len(table))
