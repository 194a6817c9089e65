// Java: collections, streams, threads, files, a child.
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;

public class Hello {
    record Point(int x, int y) {}

    public static void main(String[] args) throws Exception {
        System.out.println(IntStream.rangeClosed(1, 1000).boxed().collect(Collectors.summingInt(n -> n)));
        var pool = Executors.newFixedThreadPool(4);
        var futures = new ArrayList<Future<Integer>>();
        for (int i = 0; i < 8; i++) {
            int n = i;
            futures.add(pool.submit(() -> n * n));
        }
        int sum = 0;
        for (var future : futures) sum += future.get();
        pool.shutdown();
        System.out.println(sum + " " + new Point(1, 2));
        Path file = Files.createTempFile("a", "b");
        Files.writeString(file, "written");
        System.out.println(Files.readString(file));
    }
}
