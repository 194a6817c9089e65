# expect: TLE
import sys

sys.setrecursionlimit(30000)


def fewest(amount, values):
    if amount == 0:
        return 0
    found = [fewest(amount - value, values) for value in values if value <= amount]
    return min((coins + 1 for coins in found if coins is not None), default=None)


amount, _ = map(int, input().split())
coins = fewest(amount, list(map(int, input().split())))
print("impossible" if coins is None else coins)
