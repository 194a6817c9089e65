int fewest_coins(int amount, int count, const int *values);
