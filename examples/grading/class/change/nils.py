# expect: ITLE
import time

time.sleep(100)
