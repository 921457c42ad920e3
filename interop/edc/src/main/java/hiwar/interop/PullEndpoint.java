package hiwar.interop;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.GeneralSecurityException;
import java.security.Key;
import java.security.KeyPairGenerator;
import java.security.spec.ECGenParameterSpec;
import java.util.Base64;
import java.util.Map;
import java.util.concurrent.Executors;
import org.eclipse.edc.connector.dataplane.spi.Endpoint;
import org.eclipse.edc.connector.dataplane.spi.iam.DataPlaneAuthorizationService;
import org.eclipse.edc.connector.dataplane.spi.iam.PublicEndpointGeneratorService;
import org.eclipse.edc.runtime.metamodel.annotation.Extension;
import org.eclipse.edc.runtime.metamodel.annotation.Inject;
import org.eclipse.edc.runtime.metamodel.annotation.Setting;
import org.eclipse.edc.spi.EdcException;
import org.eclipse.edc.spi.security.Vault;
import org.eclipse.edc.spi.system.ServiceExtension;
import org.eclipse.edc.spi.system.ServiceExtensionContext;

/**
 * What EDC has left to its users since release 0.14: the address at which the consumer of an HttpData-PULL transfer reads, and the keys that sign
 * the tokens for it. The token is checked by EDC's own data plane; the data comes from the asset's baseUrl.
 */
@Extension("Pull endpoint for interoperability tests")
public final class PullEndpoint implements ServiceExtension {
    @Setting(key = "hiwar.pull.port", description = "Port on the loopback interface")
    private int port;

    @Setting(key = "edc.transfer.proxy.token.signer.privatekey.alias")
    private String privateAlias;

    @Setting(key = "edc.transfer.proxy.token.verifier.publickey.alias")
    private String publicAlias;

    @Inject
    private Vault vault;

    @Inject
    private DataPlaneAuthorizationService authorization;

    @Inject
    private PublicEndpointGeneratorService endpoints;

    private final HttpClient client = HttpClient.newHttpClient();
    private HttpServer server;

    @Override
    public void initialize(ServiceExtensionContext context) {
        try {
            var generator = KeyPairGenerator.getInstance("EC");
            generator.initialize(new ECGenParameterSpec("secp256r1"));
            var pair = generator.generateKeyPair();
            vault.storeSecret(privateAlias, pem("PRIVATE KEY", pair.getPrivate()));
            vault.storeSecret(publicAlias, pem("PUBLIC KEY", pair.getPublic()));
            server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 64);
        } catch (GeneralSecurityException | IOException error) {
            throw new EdcException(error);
        }
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/public", this::answer);
        var endpoint = Endpoint.url("http://127.0.0.1:" + port + "/public");
        endpoints.addGeneratorFunction("HttpData", source -> endpoint);
    }

    @Override
    public void start() {
        server.start();
    }

    @Override
    public void shutdown() {
        server.stop(0);
    }

    private static String pem(String name, Key key) {
        var text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(key.getEncoded());
        return "-----BEGIN " + name + "-----\n" + text + "\n-----END " + name + "-----\n";
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            var token = exchange.getRequestHeaders().getFirst("Authorization");
            if (token == null) {
                exchange.sendResponseHeaders(401, -1);
                return;
            }
            var source = authorization.authorize(token.replaceFirst("(?i)^bearer ", ""), Map.of());
            if (source.failed()) {
                exchange.sendResponseHeaders(403, -1);
                return;
            }
            var request = HttpRequest.newBuilder(URI.create(source.getContent().getStringProperty("baseUrl"))).build();
            var answer = client.send(request, HttpResponse.BodyHandlers.ofInputStream());
            answer.headers().firstValue("content-type").ifPresent(type -> exchange.getResponseHeaders().set("Content-Type", type));
            exchange.sendResponseHeaders(answer.statusCode(), answer.headers().firstValueAsLong("content-length").orElse(0));
            try (var body = answer.body(); var out = exchange.getResponseBody()) {
                body.transferTo(out);
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
