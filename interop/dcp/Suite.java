import java.io.FileReader;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.eclipse.dataspacetck.core.system.ConsoleMonitor;
import org.eclipse.dataspacetck.runtime.ConsoleResultWriter;
import org.eclipse.dataspacetck.runtime.TckRuntime;

/**
 * Runs one package of the conformance kit: java -cp 'JARS/*' Suite.java PROPERTIES PACKAGE.
 *
 * The kit's own entry point is in an artifact that the registry does not have for this release, so this one calls the same runtime. The last line
 * but one is "COUNTS passed N failed N": some scenarios have the same name, so their names cannot be counted.
 */
public final class Suite {
    public static void main(String[] arguments) throws Exception {
        var read = new Properties();
        try (var file = new FileReader(arguments[0])) {
            read.load(file);
        }
        Map<String, String> properties = new HashMap<>();
        read.forEach((key, value) -> properties.put((String) key, (String) value));
        properties.put("dataspacetck.launcher", "org.eclipse.dataspacetck.dcp.system.DcpSystemLauncher");
        var monitor = new ConsoleMonitor(Boolean.parseBoolean(properties.get("dataspacetck.debug")), false);
        var runtime = TckRuntime.Builder.newInstance().properties(properties).addPackage(arguments[1]).monitor(monitor);
        var result = runtime.build().execute();
        new ConsoleResultWriter(monitor).output(result);
        System.out.println("COUNTS passed " + result.getTestsSucceededCount() + " failed " + result.getTestsFailedCount());
        monitor.message("Test run complete");
    }
}
