# expect: CE
def fewest(amount:
    return amount
