# Never leaves its loop.
# expect: cpu_limit
total = 0
while True:
    total += 1
