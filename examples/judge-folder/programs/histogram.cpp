// The distribution of a million throws of two dice: an honest submission.
// expect: ok
#include <iostream>
#include <map>
#include <random>

int main()
{
    std::mt19937 generator(7);
    std::uniform_int_distribution<int> die(1, 6);
    std::map<int, int> count;

    for (int i = 0; i < 1'000'000; ++i)
        ++count[die(generator) + die(generator)];
    for (const auto &[sum, times] : count)
        std::cout << sum << '\t' << times << '\n';
}
