// The C++ library: streams, containers, threads, exceptions, the file system.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <numeric>
#include <regex>
#include <stdexcept>
#include <vector>

int main()
{
    std::vector<int> numbers(1000);
    std::iota(numbers.begin(), numbers.end(), 1);
    auto sum = std::async(std::launch::async, [&] { return std::accumulate(numbers.begin(), numbers.end(), 0); });
    std::cout << sum.get() << '\n';
    try {
        throw std::runtime_error("thrown");
    } catch (const std::exception &error) {
        std::cout << error.what() << '\n';
    }
    auto folder = std::filesystem::temp_directory_path() / "cpp";
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "a") << "written";
    std::cout << std::filesystem::file_size(folder / "a") << ' ' << std::regex_match("a1", std::regex("[a-z]\\d")) << '\n';
}
