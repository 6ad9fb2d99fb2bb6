"""A smart host for internet.py: a Postfix that wants a log-in, by STARTTLS on one port and in TLS from the first octet on
another, with Cyrus SASL behind it."""
import re
import shlex

from internet import Postfix

USER, SECRET = "vps@postfix.test", "correct horse, battery"
MECHANISMS = {"plain": "PLAIN", "login": "LOGIN", "cram-md5": "CRAM-MD5", "scram-sha-1": "SCRAM-SHA-1",
              "scram-sha-256": "SCRAM-SHA-256"}
STARTTLS, IMPLICIT, CLEAR = 587, 465, 588


class SmartHost(Postfix):
    """Who logs in may send; nobody else, not even from where port 25 would let him."""
    packages = (*Postfix.packages, "sasl2-bin")
    secrets = {USER: SECRET}

    def configure(self):
        super().configure()
        self.write("smtpd.conf", f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: {' '.join(MECHANISMS.values())}\n")
        common = ("smtpd_sasl_auth_enable=yes smtpd_sasl_authenticated_header=yes smtpd_sasl_security_options=noanonymous "
                  "smtpd_client_restrictions=permit_sasl_authenticated,reject smtpd_delay_reject=yes").split()
        services = {STARTTLS: ["smtpd_tls_security_level=encrypt", "smtpd_tls_auth_only=yes"],
                    IMPLICIT: ["smtpd_tls_wrappermode=yes", "smtpd_tls_security_level=encrypt"],
                    CLEAR: ["smtpd_tls_security_level=none", "smtpd_tls_auth_only=no"]}
        self.write("services", "".join(
            f"{port} inet n - n - - smtpd" + "".join(f" -o {setting}" for setting in [
                *settings, *common, f"syslog_name=postfix/{port}"]) + "\n" for port, settings in services.items()))

    def installation(self):
        log_ins = "\n".join("printf %s {2} | saslpasswd2 -p -c -u {1} {0}".format(*user.split("@"), shlex.quote(secret))
                            for user, secret in self.secrets.items())
        return super().installation() + f"""
            cat {self.home}/services >>/etc/postfix/master.cf
            mkdir -p /etc/postfix/sasl && cp {self.home}/smtpd.conf /etc/postfix/sasl/smtpd.conf
            rm -f /etc/sasldb2
            {log_ins}
            chown postfix /etc/sasldb2 && chmod 600 /etc/sasldb2
            """

    def log_ins(self, queue_id):
        """(port, mechanism, user) of the message that it named so."""
        return re.findall(rf"postfix/(\d+)/smtpd\[\d+\]: {queue_id}: client=.*sasl_method=([\w-]+), sasl_username=(\S+)",
                          self.story())
