import java.util.Arrays;
import java.util.Scanner;

public class Table {
    public static void main(String[] args) {
        Scanner in = new Scanner(System.in);
        int amount = in.nextInt(), count = in.nextInt();
        int[] fewest = new int[amount + 1];
        Arrays.fill(fewest, amount + 1);
        fewest[0] = 0;
        while (count-- > 0) {
            int value = in.nextInt();
            for (int part = value; part <= amount; part++) fewest[part] = Math.min(fewest[part], fewest[part - value] + 1);
        }
        System.out.println(fewest[amount] <= amount ? String.valueOf(fewest[amount]) : "impossible");
    }
}
