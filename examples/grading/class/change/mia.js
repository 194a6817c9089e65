// expect: TLE
let coins = 0;
while (coins >= 0) coins = (coins + 1) % 1000;
