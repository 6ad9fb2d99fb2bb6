/* `veredus send`: a message made of its words, standard input and files (format/compose.h). */
#ifndef CLI_SEND_H
#define CLI_SEND_H

/* argv[0]: "send". The exit code: sysexits(3). */
int send_main(int argc, char **argv);

#endif
