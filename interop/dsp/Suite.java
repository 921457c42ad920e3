import java.io.FileReader;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.function.Predicate;
import org.eclipse.dataspacetck.core.system.ConsoleMonitor;
import org.eclipse.dataspacetck.runtime.ConsoleResultWriter;
import org.eclipse.dataspacetck.runtime.TckRuntime;

/**
 * Runs the conformance kit: java -cp 'JARS/*' Suite.java PROPERTIES [BEGINNING_OF_A_NAME].
 *
 * The kit's own entry point is in an artifact that the registry does not have for this release, so this one calls the same runtime. The second
 * argument runs only what begins with it, such as CN_C:01-03 or TP.
 */
public final class Suite {
    public static void main(String[] arguments) throws Exception {
        var read = new Properties();
        try (var file = new FileReader(arguments[0])) {
            read.load(file);
        }
        Map<String, String> properties = new HashMap<>();
        read.forEach((key, value) -> properties.put((String) key, (String) value));
        properties.put("dataspacetck.launcher", "org.eclipse.dataspacetck.dsp.system.DspSystemLauncher");
        var monitor = new ConsoleMonitor(Boolean.parseBoolean(properties.get("dataspacetck.debug")), false);
        var runtime = TckRuntime.Builder.newInstance()
            .properties(properties)
            .addPackage("org.eclipse.dataspacetck.dsp.verification")
            .monitor(monitor);
        if (arguments.length > 1) {
            // Test classes have a "_" where their scenarios have a ":"; both must pass.
            Predicate<String> wanted = name -> !name.matches("[A-Z_]+:.*") || name.startsWith(arguments[1]);
            runtime.displayNameMatching(wanted);
        }
        new ConsoleResultWriter(monitor).output(runtime.build().execute());
        monitor.message("Test run complete");
    }
}
