import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Security;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Signs in four threads with every key of the token and with a session key. usage: java Threads.java PROVIDER-CONFIG PIN */
class Threads {
    static final int THREADS = 4;
    static final int ROUNDS = 8;

    record Signer(PrivateKey priv, PublicKey pub) {}

    /** The signature is made by the token and verified by Java's own code. */
    static void sign(Provider token, Signer who, String algorithm, byte[] message) throws Exception {
        Signature signer = Signature.getInstance(algorithm, token);
        signer.initSign(who.priv());
        signer.update(message, 0, 10);
        signer.update(message, 10, message.length - 10);
        byte[] signature = signer.sign();

        Signature verifier = Signature.getInstance(algorithm, "SunEC");
        verifier.initVerify(who.pub());
        verifier.update(message);
        if (!verifier.verify(signature)) {
            throw new IllegalStateException(algorithm + " does not verify");
        }
        byte[] other = message.clone();
        other[other.length / 2] ^= 1;
        verifier.initVerify(who.pub());
        verifier.update(other);
        if (verifier.verify(signature)) {
            throw new IllegalStateException(algorithm + " verifies another message");
        }
    }

    static int signAll(Provider token, List<Signer> signers) throws Exception {
        SecureRandom random = SecureRandom.getInstance("PKCS11", token);
        byte[] message = new byte[1000];
        int count = 0;

        for (int round = 0; round < ROUNDS; round++) {
            random.nextBytes(message);
            byte[] digest = MessageDigest.getInstance("SHA-256", token).digest(message);
            for (Signer who : signers) {
                sign(token, who, "SHA256withECDSA", message);
                sign(token, who, "NONEwithECDSA", digest);
                count += 2;
            }
        }
        return count;
    }

    public static void main(String[] arguments) throws Exception {
        Provider token = Security.getProvider("SunPKCS11").configure(arguments[0]);
        KeyStore store = KeyStore.getInstance("PKCS11", token);
        List<Signer> signers = new ArrayList<>();

        store.load(null, arguments[1].toCharArray());
        for (String alias : new String[] {"copied", "made"}) {
            signers.add(new Signer((PrivateKey) store.getKey(alias, null), store.getCertificate(alias).getPublicKey()));
        }
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", token);
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        KeyPair pair = generator.generateKeyPair(); // lives as long as its session
        signers.add(new Signer(pair.getPrivate(), pair.getPublic()));

        ExecutorService threads = Executors.newFixedThreadPool(THREADS);
        List<Callable<Integer>> tasks = new ArrayList<>();
        for (int i = 0; i < THREADS; i++) {
            tasks.add(() -> signAll(token, signers));
        }
        List<Future<Integer>> done = threads.invokeAll(tasks);
        threads.shutdown();
        int count = 0;
        for (Future<Integer> one : done) {
            count += one.get(); // throws what the thread threw
        }
        System.out.println("verified " + count + " signatures of " + THREADS + " threads");
    }
}
