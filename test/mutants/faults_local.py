"""Programs of this host: the socket, who may send by it, as whom and how much; sendmail and what it leads to."""
from fault import Fault

SUBMISSION, SOCKET = "src/core/submission.c", "src/sys/process_listen.c"

FAULTS = [
    Fault("local_is_held_to_accounts", "a program of this host may not send as whom it says",
          "unit core_submission",
          SUBMISSION, "    if (!err_is(e) && !login->local)\n", "    if (!err_is(e))\n"),
    Fault("local_users_have_no_limits", "a web page's mail() sends without end",
          "unit core_submission",
          SUBMISSION, "    return !local ? account : uid ? SENDER_LOCAL | uid : 0;", "    return !local ? account : uid & 0;"),
    Fault("local_root_has_limits", "root's reports stop at the limits of an account",
          "unit core_submission",
          SUBMISSION, "    return !local ? account : uid ? SENDER_LOCAL | uid : 0;", "    return !local ? account : SENDER_LOCAL | uid;"),
    Fault("local_users_are_one", "one user of this host uses up another's limits",
          "unit core_submission",
          SUBMISSION, "    return !local ? account : uid ? SENDER_LOCAL | uid : 0;", "    return !local ? account : uid ? SENDER_LOCAL | 1 : 0;"),
    Fault("local_socket_by_umask", "nobody but root may use the socket under a service's umask",
          "unit process",
          SOCKET, "chmod(at.sun_path, all ? 0666 : 0660) == 0", "chmod(at.sun_path, all ? 0600 : 0660) == 0"),
    Fault("local_group_is_everybody", "submission.local_group keeps nobody out",
          "unit process",
          SOCKET, "all ? 0666 : 0660) == 0", "all ? 0666 : 0666) == 0"),
    Fault("local_user_is_not_named", "Received does not say who on this host sent it",
          "unit smtp_received",
          "src/edge/smtp/received.c", "    if (received->local)\n", "    if (received->local && received->hidden)\n"),
]
