"""TLS: what is signed, whose key it is, who may name it."""
from fault import Fault

CERTIFICATE, SIGN = "src/trust/certificate.c", "src/trust/tls_sign.c"
EDGE = "src/edge/tls.c"

FAULTS = [
    # --- What is signed ---
    Fault("signs_any_hash", "O04: what has not the length of a transcript hash is signed",
          "unit tls_sign",
          SIGN, "    if (what->what.n != 32 && what->what.n != 48)\n", "    if (what->what.n > TLS_SIGN_RANDOMS)\n"),
    Fault("signs_short_randoms", "O04: TLS 1.2: more or fewer than two randoms are signed",
          "unit tls_sign",
          SIGN, "    if (what->randoms.n != TLS_SIGN_RANDOMS)\n", "    if (what->randoms.n > TLS_SIGN_RANDOMS)\n"),
    Fault("signs_without_mark", "O04: TLS 1.2: a random without the mark of a server that knows 1.3",
          "unit tls_sign",
          SIGN, "    if (!str_ends(what->randoms, STR(\"DOWNGRD\\1\")))\n", "    if (what->randoms.n == 0)\n"),
    Fault("signs_octets_behind_point", "O04: TLS 1.2: octets behind the point are signed",
          "unit tls_sign",
          SIGN, "octets[3] == groups[i].point && point.n == groups[i].point &&",
          "octets[3] == groups[i].point && point.n >= groups[i].point &&"),
    Fault("signs_points_of_no_curve", "O04: TLS 1.2: any octets are a point",
          "unit tls_sign",
          SIGN, "    if (!group->curve)\n        return true;", "    if (!group->curve || group->curve)\n        return true;"),
    Fault("pkcs1_in_13", "RFC 8446 4.2.3: a scheme that TLS 1.3 does not have",
          "unit tls_sign",
          SIGN, "(!tls_13 || (scheme->in_13 && scheme->kind_in_13 == kind))", "(!tls_13 || scheme->way != WAY_PSS || scheme->in_13)"),
    Fault("salt_as_long_as_fits", "RFC 8446 4.2.3: a salt of another length than the digest's",
          "unit tls_sign",
          SIGN, "RSA_PSS_SALTLEN_DIGEST", "RSA_PSS_SALTLEN_MAX"),
    # --- Whose key it is ---
    Fault("key_of_another_fits", "a private key that is not the certificate's is taken",
          "unit certificate",
          CERTIFICATE, "EVP_PKEY_eq(public, key->pkey) == 1;", "EVP_PKEY_eq(public, key->pkey) >= -1;"),
    Fault("chain_out_of_order", "a chain whose links do not sign each other",
          "unit certificate",
          CERTIFICATE, "X509_check_issued(next, one) == X509_V_OK && X509_verify(one, public) == 1;",
          "X509_check_issued(next, one) == X509_V_OK;"),
    Fault("weak_rsa", "an RSA key of less than 2048 bits",
          "unit certificate",
          CERTIFICATE, "bits >= CERTIFICATE_RSA_LEAST &&", "bits >= CERTIFICATE_RSA_LEAST / 2 &&"),
    # --- What an edge shows and names ---
    Fault("edge_names_any_key", "a handshake from an old set names a key that core may not know, which cuts the link",
          "unit edge_tls",
          EDGE, "    if (!known || known->until <= edge->loop->now)\n", "    if (!known && edge->loop->now < 0)\n"),
    Fault("edge_does_not_wait_for_the_set", "a handshake names a key before the new core told which it has",
          "unit edge_tls",
          EDGE, "    while (!err_is(e) && tls->told_by != edge->core_since) {", "    while (!err_is(e) && tls->told_by > edge->core_since) {"),
    Fault("half_a_set_is_shown", "a set of certificates of which some did not come",
          "unit edge_tls",
          EDGE, "    else if (set->count != end->count)\n", "    else if (set->count > end->count)\n"),
]
