"""The other side of the conversation. It has a bug: a number of more than 4300 digits is an exception, so a judge error."""

import sys

number = int(open(sys.argv[1]).read())
with open(sys.argv[3] + "judgemessage.txt", "a") as message:
    for turn in range(1, 11):
        line = sys.stdin.readline()
        if not line.strip().isdigit():
            message.write(f"guess {turn} is no number: {line[:40]!r}\n")
            sys.exit(43)
        guess = int(line)
        message.write(f"guess {turn}: {guess}\n")
        print("correct" if guess == number else "higher" if guess < number else "lower", flush=True)
        if guess == number:
            sys.exit(42 if not sys.stdin.readline() else 43)
    message.write("no guess is left\n")
sys.exit(43)
