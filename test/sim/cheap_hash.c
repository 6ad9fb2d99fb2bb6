/*
 * Instead of libcrypt's crypt_r, by the linker's --wrap: what a hash costs is not what is tried
 * here, and with the real one a run would be hashing most of its time. Of the form that
 * trust/password.c makes and knows; the real ones are tested beside it. SCRAM's keys are made with
 * one round, the client's (auth.c) too.
 */
#include <crypt.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum {
    SHA = 32,
    SETTING_PARTS = 4, /* "$y$parameters$salt", of which each begins with '$' but the name */
};

char *__wrap_crypt_r(const char *password, const char *setting, struct crypt_data *data);
int __real_PKCS5_PBKDF2_HMAC(const char *password, int password_length, const unsigned char *salt,
                             int salt_length, int rounds, const EVP_MD *digest, int n,
                             unsigned char *out);
int __wrap_PKCS5_PBKDF2_HMAC(const char *password, int password_length, const unsigned char *salt,
                             int salt_length, int rounds, const EVP_MD *digest, int n,
                             unsigned char *out);

int __wrap_PKCS5_PBKDF2_HMAC(const char *password, int password_length, const unsigned char *salt,
                             int salt_length, int rounds, const EVP_MD *digest, int n,
                             unsigned char *out)
{
    (void)rounds;
    return __real_PKCS5_PBKDF2_HMAC(password, password_length, salt, salt_length, 1, digest, n,
                                    out);
}

/* Octets of "$y$j9T$salt", without a hash that may follow. */
static size_t setting_length(const char *setting)
{
    size_t n = 0;
    for (int dollars = 0; setting[n]; n++)
        if (setting[n] == '$' && ++dollars == SETTING_PARTS)
            break;
    return n;
}

char *__wrap_crypt_r(const char *password, const char *setting, struct crypt_data *data)
{
    unsigned char sum[SHA];
    char text[CRYPT_OUTPUT_SIZE];
    size_t n = setting_length(setting);
    int length = snprintf(text, sizeof(text), "%.*s %s", (int)n, setting, password);
    EVP_Digest(text, (size_t)length, sum, NULL, EVP_sha256(), NULL);
    length = snprintf(data->output, sizeof(data->output), "%.*s$", (int)n, setting);
    for (size_t i = 0; i < SHA; i++)
        length +=
            snprintf(data->output + length, sizeof(data->output) - (size_t)length, "%02x", sum[i]);
    return data->output;
}
