# expect: IE
>>> reads nothing, writes nothing, in a language whose interpreter is not here
