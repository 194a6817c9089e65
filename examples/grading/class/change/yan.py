# expect: FLE
with open('/tmp/table', 'wb') as table:
    for _ in range(1000):
        table.write(bytes(1 << 20))
