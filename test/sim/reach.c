/*
 * Of a host's attempt: who knows of it, and whom it reaches; from the table of people, and not from
 * what the server would say.
 */
#include "sim.h"

/* --- Witnesses ------------------------------------------------------------------------------- */

static const struct house_role *roles(const struct host *host)
{
    return host->sim->house.roles;
}

/* The greeting came: somebody has taken the connection. */
void host_witness_greeted(struct host *host)
{
    struct witness *witness = &host->witness;
    int role = fake_client_role(host->dialog.client);
    witness->edge = -1;
    for (int slot = HOUSE_MX_1; slot <= HOUSE_SUB; slot++)
        if (roles(host)[slot].role == role)
            *witness = (struct witness){.edge = slot, .edge_deaths = roles(host)[slot].deaths};
}

bool host_edge_died(const struct host *host, const struct witness *witness)
{
    return witness->edge < 0 || roles(host)[witness->edge].deaths != witness->edge_deaths;
}

static bool is_forgotten(const struct host *host, const struct witness *witness)
{
    return host_edge_died(host, witness) && roles(host)[HOUSE_CORE].deaths != witness->core_deaths;
}

bool host_forgotten(const struct host *host, const struct letter *letter)
{
    for (size_t i = 0; i < letter->witness_count; i++)
        if (is_forgotten(host, &letter->witnesses[i]))
            return true;
    return false;
}

void host_witness_keep(const struct host *host, struct letter *letter)
{
    if (letter->unknown == 0)
        letter->witness_count = 0;
    if (letter->witness_count < LETTER_ATTEMPTS)
        letter->witnesses[letter->witness_count++] = host->witness;
}

/* --- Whom it reaches ------------------------------------------------------------------------- */

const struct people_address *host_taken(const struct host *host, const struct letter *letter,
                                        size_t at)
{
    return &people_addresses[letter->addresses[host->question.taken[at]]];
}

/* Where the address leads: to all of these in each state it may have been in since it was named, or
 * in some. What a message of unknown end still does is in no state that we know. */
static struct reach address_reach(const struct host *host, const struct people_address *address,
                                  uint64_t named, bool is_known)
{
    struct reach reach = {.sure = address->accounts,
                          .perhaps = address->accounts | address->perhaps};
    if (!address->change)
        return reach;
    const struct people_change *change = &people_changes[address->change - 1];
    uint32_t states = clerk_states(&host->sim->clerk, address->change - 1, named);
    reach.sure = is_known ? UINT64_MAX : 0;
    for (size_t i = 0; i < change->count; i++) {
        if (is_known && !(states & 1u << i))
            continue;
        reach.sure &= change->states[i].accounts;
        reach.perhaps |= change->states[i].accounts;
    }
    return reach;
}

/* By LMTP a mailbox without room refuses its own copy only, whatever the others get. */
struct reach host_reach(const struct host *host, const struct letter *letter, bool is_known)
{
    struct reach reach = {.sure = 0};
    for (size_t i = 0; i < host->question.taken_count; i++) {
        const struct people_address *address = host_taken(host, letter, i);
        bool told = host->outcomes_taken & 1u << i;
        reach.taken |= 1u << host->question.taken[i];
        if (i < host->outcomes && !told)
            continue;
        struct reach one =
            address_reach(host, address, host->question.named[host->question.taken[i]], is_known);
        if (told || !(host->lmtp && (address->full || host->outcomes)))
            reach.sure |= one.sure;
        reach.perhaps |= one.perhaps;
    }
    return reach;
}

/* The replies that it may give, in the states it may be in. */
bool host_may_hear(const struct host *host, const struct people_address *address, uint64_t named,
                   int code)
{
    if (address->direct && (host->user < 0 && host->number >= ORACLE_RELAYING))
        return code == 550;
    if (!address->change)
        return code == address->reply;
    const struct people_change *change = &people_changes[address->change - 1];
    uint32_t states = clerk_states(&host->sim->clerk, address->change - 1, named);
    for (size_t i = 0; i < change->count; i++)
        if (states & 1u << i && change->states[i].reply == code)
            return true;
    return false;
}

bool host_names_full(const struct host *host, const struct letter *letter)
{
    for (size_t i = 0; i < host->question.taken_count; i++)
        if (host_taken(host, letter, i)->full)
            return true;
    return false;
}
