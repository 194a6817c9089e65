# Counts the primes below 200,000 with a sieve: an honest submission.
# expect: ok
LIMIT = 200_000
sieve = bytearray([1]) * LIMIT
sieve[0:2] = b"\0\0"
for n in range(2, int(LIMIT**0.5) + 1):
    if sieve[n]:
        sieve[n * n :: n] = bytes(len(range(n * n, LIMIT, n)))
print(sum(sieve), "primes below", LIMIT)
