# expect: WA
import glob

found = [path for top in ('/work', '/tmp', '/home', '/root', '/judge', '/srv') for path in glob.glob(f'{top}/**/*.ans', recursive=True)]
print(open(found[0]).read() if found else 'impossible')
