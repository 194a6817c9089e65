// expect: RTE
public class Main {
    public static void main(String[] args) {
        long[][] table = new long[100_000][];
        for (int row = 0; row < table.length; row++) table[row] = new long[100_000];
        System.out.println(table.length);
    }
}
