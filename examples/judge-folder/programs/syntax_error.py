# Does not parse: the interpreter says so and leaves with status 1.
# expect: nonzero_exit
def area(width, height)
    return width * height


print(area(3, 4))
