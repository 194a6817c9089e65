// expect: WA
#include <algorithm>
#include <iostream>
#include <vector>

int main() {
    int amount, count;
    std::cin >> amount >> count;
    std::vector<int> fewest(amount + 1, 99);
    fewest[0] = 0;
    for (int value; count-- && std::cin >> value;)
        for (int part = value; part <= amount; part++) fewest[part] = std::min(fewest[part], fewest[part - value] + 1);
    if (fewest[amount] <= amount) std::cout << fewest[amount] << '\n';
    else std::cout << "impossible\n";
}
