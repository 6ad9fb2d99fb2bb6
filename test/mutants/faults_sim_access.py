"""Faults of log-ins, limits and bans that whole sessions show: the simulator's (test/sim), and what it found."""
from fault import Fault

LOGIN, PASSWORD, SCRAM = "src/core/login.c", "src/core/login_password.c", "src/core/login_scram.c"
SESSION, KEPT, ADMIN_BAN = "src/core/login_session.c", "src/core/bans_kept.c", "src/core/admin_ban.c"
GUARD, SUSPECTS, SUCCESS = "src/core/guard.c", "src/core/suspects.c", "src/core/success.c"
SUBMISSION, SENDING, ACCEPT = "src/core/submission.c", "src/core/sending.c", "src/core/accept.c"
GRANT, SALTS = "src/store/directory_grant.c", "src/store/directory_nobody.c"
DOOR, PACE, EDGE_ACCEPT = "src/edge/door.c", "src/edge/smtp/pace.c", "src/edge/accept.c"
POP3 = "src/edge/pop3/commands.c"

FAULTS = [
    # --- Who is in ---
    Fault("sim_old_password_in_the_cache", "I13: a password that was changed works while core remembers it",
          "unit sim",
          SUCCESS, "    wire_put_u64(&buf, of->version);\n", "    wire_put_u64(&buf, 0);\n"),
    Fault("sim_any_service", "an application password for POP3 submits mail",
          "unit sim",
          LOGIN, "!(try->services & service)", "!(try->services | service)"),
    Fault("sim_sessions_outlive_a_password", "I13: who is in stays in when the password is changed",
          "unit sim",
          SESSION, "    else if (!same && login)\n        login_take_back(one->peer, login);\n", "    else if (!same && login)\n        (void)login_take_back;\n"),
    Fault("sim_void_log_in_goes_on", "a POP3 session whose core is gone goes on with what it knows",
          "unit sim",
          POP3, "row->run != pop3_quit && !pop3_core_is_ours(s);", "row->run != pop3_quit && false;"),
    Fault("first_askers_collide", "who asks first for the key of salts in company hears 550",
          "unit directory_access",
          SALTS, "    return e.code == ERR_CONFLICT ? salt_key_await(directory) : e;", "    (void)salt_key_await;\n    return e.code == ERR_CONFLICT ? err_none() : e;"),

    # --- Guessing ---
    Fault("sim_addresses_are_not_counted", "I15: an address may guess as often as it likes",
          "unit sim",
          GUARD, "    judge(attempt.address, now.mono, &a, &answer);\n", "    (void)a;\n"),
    Fault("sim_names_are_not_counted", "I15: many networks may guess at one name",
          "unit sim",
          GUARD, "    judge(attempt.name, now.mono, &m, &answer);\n", "    (void)m;\n"),
    Fault("sim_scram_guesses_are_free", "I15: guesses by SCRAM are not counted",
          "unit sim",
          SCRAM, "    e = login_decide(try, right ? PROOF_RIGHT : PROOF_WRONG, e);", "    e = login_decide(try, right ? PROOF_RIGHT : PROOF_NONE, right ? e : err_make(ERR_LOGIN_FAILED));"),
    Fault("sim_strangers_lock_the_owner_out", "I15: a name's count binds its owner at home",
          "unit sim",
          GUARD, "    if (!known)\n        found.name", "    if (!known || known)\n        found.name"),
    Fault("sim_home_is_not_noted", "a network from which the account logged in well is a stranger's",
          "unit sim",
          LOGIN, "    if (has_own_network(try))\n        e = directory_network_note", "    if (!has_own_network(try))\n        e = directory_network_note"),

    # --- Bans ---
    Fault("sim_bans_are_not_kept", "an operator's ban ends with core",
          "unit sim",
          KEPT, "    struct err e = bans_store_put(core->engine, ban);\n    if (err_is(e))\n        return e;\n    if (guard_ban", "    struct err e = err_none();\n    if (guard_ban"),
    Fault("sim_core_believes_the_edge", "core looks at a log-in of who is banned",
          "unit sim",
          LOGIN, "    if (guard_ban_of(core->desk.guard, try->network, world_wall(core->world)))\n        return err_make(ERR_BANNED);\n", "",
          GUARD, "    if (ban)\n        return banned(ban, now.wall, false);\n", "    (void)ban;\n",
          EDGE_ACCEPT, "    if (edge_is_banned(edge, client))\n        return ERR_BANNED;\n", ""),
    Fault("sim_lift_lifts_nothing_on_disk", "a lifted ban is back with the next core",
          "unit sim",
          KEPT, "    return err_is(e) ? e : rows_commit(engine, &row, 1);\n}\n\n/* A page", "    return e;\n}\n\n/* A page"),

    # --- Submission ---
    Fault("sim_limit_is_not_stored", "what an account sent is forgotten with core",
          "unit sim",
          ACCEPT, "    sending_ops(sender->account, &sender->sending, delivery->arena, &delivery->ops);\n", ""),
    Fault("sim_limit_counts_messages", "an account's limit counts messages, not recipients",
          "unit sim",
          SUBMISSION, "{.recipients = (uint32_t)request->msg.commit.recipients_count,", "{.recipients = 1,"),
    Fault("sim_anybody_is_the_author", "S22: From may name anybody",
          "unit sim",
          SUBMISSION, "    return err_is(e) ? e : authors_judge(request, transaction->account);", "    (void)authors_judge;\n    return e;"),
    Fault("sim_anybody_is_the_sender", "S22: MAIL may name anybody",
          "unit sim",
          SUBMISSION, "    return sender->kind == ADDR_NULL ? err_none() : may_send(core, account, sender, arena);", "    (void)sender;\n    (void)core;\n    (void)account;\n    (void)arena;\n    return err_none();"),

    # --- The door ---
    Fault("sim_address_has_no_limit", "an address may have all sessions",
          "unit sim",
          EDGE_ACCEPT, "    if (edge_client_sessions(edge, peer->text) >= limits.sessions_per_address)", "    if (edge_client_sessions(edge, peer->text) > limits.sessions_per_address)"),
    Fault("sim_messages_are_not_counted", "a client may send as fast as it likes",
          "unit sim",
          PACE, "    return most == 0 || !is_minded(s, &from) ||", "    return most > 0 || !is_minded(s, &from) ||"),
    Fault("sim_no_tarpit", "who tries names that there are not does it at full speed",
          "unit sim",
          PACE, "    if (conf->smtp.tarpit > 0 && is_minded", "    if (conf->smtp.tarpit < 0 && is_minded"),
]
