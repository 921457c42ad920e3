package hiwar.interop;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.text.ParseException;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import org.eclipse.edc.iam.decentralizedclaims.spi.SecureTokenService;
import org.eclipse.edc.runtime.metamodel.annotation.Extension;
import org.eclipse.edc.runtime.metamodel.annotation.Provider;
import org.eclipse.edc.runtime.metamodel.annotation.Setting;
import org.eclipse.edc.spi.EdcException;
import org.eclipse.edc.spi.iam.TokenRepresentation;
import org.eclipse.edc.spi.result.Result;
import org.eclipse.edc.spi.system.ServiceExtension;
import org.eclipse.edc.spi.system.ServiceExtensionContext;
import org.eclipse.edc.token.spi.TokenDecorator;

/**
 * A wallet for one connector, in the connector: signs its self-issued tokens, serves its DID document, and answers presentation queries with one membership
 * credential. That credential is issued here too, by a second DID. Verification of others is EDC's own. For tests on the loopback interface: keys live as
 * long as the process.
 */
@Extension("DCP identity for interoperability tests")
public final class DcpIdentity implements ServiceExtension {
    private static final String SCOPE = "org.eclipse.edc.vc.type:MembershipCredential:read";
    private static final long LIFE_SECONDS = 300;

    @Setting(key = "hiwar.dcp.port", description = "Port on the loopback interface")
    private int port;

    @Setting(key = "hiwar.dcp.seen-at", description = "The port in the DID, when a proxy stands in front", required = false, defaultValue = "0")
    private int seenAt;

    /** Tokens that we gave out, with which a verifier may ask for the credential. */
    private final Set<String> accessTokens = ConcurrentHashMap.newKeySet();
    private HttpServer server;
    private String holder;
    private String issuer;
    private ECKey holderKey;
    private ECKey issuerKey;

    @Override
    public void initialize(ServiceExtensionContext context) {
        makeKeys();
        try {
            server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 64);
        } catch (IOException error) {
            throw new EdcException(error);
        }
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/.well-known/did.json", exchange -> answer(exchange, 200, document(holder, holderKey)));
        server.createContext("/issuer/did.json", exchange -> answer(exchange, 200, document(issuer, issuerKey)));
        server.createContext("/presentations/query", this::present);
        server.start();
    }

    @Override
    public void shutdown() {
        server.stop(0);
    }

    @Provider
    public TokenDecorator scope() {
        return parameters -> parameters.claims("scope", SCOPE);
    }

    @Provider
    public SecureTokenService tokens() {
        return (participant, claims, scope) -> {
            var builder = new JWTClaimsSet.Builder();
            claims.forEach(builder::claim);
            if (scope != null) {
                var token = UUID.randomUUID().toString();
                accessTokens.add(token);
                builder.claim("token", token);
            }
            return Result.success(TokenRepresentation.Builder.newInstance().token(signed(timed(builder), holder, holderKey)).build());
        };
    }

    private void makeKeys() {
        holder = "did:web:127.0.0.1%3A" + visiblePort();
        issuer = holder + ":issuer";
        try {
            holderKey = new ECKeyGenerator(Curve.P_256).keyID(holder + "#key-1").generate();
            issuerKey = new ECKeyGenerator(Curve.P_256).keyID(issuer + "#key-1").generate();
        } catch (JOSEException error) {
            throw new EdcException(error);
        }
    }

    private int visiblePort() {
        return seenAt == 0 ? port : seenAt;
    }

    private Map<String, Object> document(String did, ECKey key) {
        return Map.of(
            "@context", List.of("https://www.w3.org/ns/did/v1"),
            "id", did,
            "verificationMethod", List.of(Map.of("id", key.getKeyID(), "type", "JsonWebKey2020", "controller", did, "publicKeyJwk", key.toPublicJWK().toJSONObject())),
            "authentication", List.of(key.getKeyID()),
            "assertionMethod", List.of(key.getKeyID()),
            "capabilityInvocation", List.of(key.getKeyID()),
            "service", List.of(Map.of("id", did + "#credentials", "type", "CredentialService", "serviceEndpoint", "http://127.0.0.1:" + visiblePort())));
    }

    private void present(HttpExchange exchange) throws IOException {
        try {
            var header = exchange.getRequestHeaders().getFirst("Authorization");
            var asker = SignedJWT.parse(header == null ? "" : header.replaceFirst("(?i)^bearer ", "")).getJWTClaimsSet();
            if (!accessTokens.contains(asker.getStringClaim("token"))) {
                answer(exchange, 401, Map.of("error", "the access token is not ours"));
                return;
            }
            answer(exchange, 200, Map.of("@context", List.of("https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"), "type", "PresentationResponseMessage",
                "presentation", List.of(presentation(asker.getIssuer()))));
        } catch (ParseException error) {
            answer(exchange, 401, Map.of("error", "a bearer token is needed"));
        }
    }

    private String presentation(String verifier) {
        var id = "urn:uuid:" + UUID.randomUUID();
        return signed(timed(new JWTClaimsSet.Builder().issuer(holder).subject(holder).audience(verifier).claim("vp", Map.of(
            "@context", List.of("https://www.w3.org/2018/credentials/v1"), "id", id, "type", List.of("VerifiablePresentation"), "holder", holder,
            "verifiableCredential", List.of(credential())))), holder, holderKey);
    }

    private String credential() {
        var now = Instant.now().minusSeconds(5);
        var id = "urn:uuid:" + UUID.nameUUIDFromBytes(holder.getBytes(StandardCharsets.UTF_8));
        return signed(timed(new JWTClaimsSet.Builder().issuer(issuer).subject(holder).claim("vc", Map.of(
            "@context", List.of("https://www.w3.org/2018/credentials/v1"), "id", id, "type", List.of("VerifiableCredential", "MembershipCredential"),
            "issuer", issuer, "issuanceDate", now.toString(), "expirationDate", now.plusSeconds(86_400).toString(),
            "credentialSubject", Map.of("id", holder, "membership", "interoperability test")))), issuer, issuerKey);
    }

    private static JWTClaimsSet timed(JWTClaimsSet.Builder builder) {
        var now = Instant.now();
        return builder.jwtID(UUID.randomUUID().toString()).issueTime(Date.from(now)).expirationTime(Date.from(now.plusSeconds(LIFE_SECONDS))).build();
    }

    private static String signed(JWTClaimsSet claims, String did, ECKey key) {
        try {
            var jwt = new SignedJWT(new JWSHeader.Builder(JWSAlgorithm.ES256).type(JOSEObjectType.JWT).keyID(key.getKeyID()).build(), claims);
            jwt.sign(new ECDSASigner(key));
            return jwt.serialize();
        } catch (JOSEException error) {
            throw new EdcException(error);
        }
    }

    private static void answer(HttpExchange exchange, int status, Map<String, Object> body) throws IOException {
        try (exchange) {
            var bytes = JSONObjectUtils.toJSONString(body).getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(status, bytes.length);
            exchange.getResponseBody().write(bytes);
        }
    }
}
