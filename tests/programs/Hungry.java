// Takes memory until the virtual machine refuses: it must know its limit, and not be killed.
import java.util.*;

public class Hungry {
    public static void main(String[] args) {
        var hoard = new ArrayList<byte[]>();
        try {
            while (true) hoard.add(new byte[1 << 20]);
        } catch (OutOfMemoryError error) {
            int size = hoard.size();
            hoard = null;
            System.out.println(size > 30 ? "refused after more than 30 MB" : "refused after " + size + " MB");
        }
    }
}
