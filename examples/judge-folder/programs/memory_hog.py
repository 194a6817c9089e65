# Allocates and touches memory until somebody stops it.
# expect: memory_limit
hoard = []
while True:
    hoard.append(bytearray(b"x") * (1 << 20))
