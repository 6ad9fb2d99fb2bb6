/*
 * What became of each recipient of a job, and why. A recipient is undecided until one of these says
 * otherwise; what is said once stays. What keeps a job from a host is noted, and counts for those
 * that no host decided about. Texts are copied into the job's arena, cut at JOB_TEXT_MAX, without
 * line ends; where the arena is full they are empty. Nothing yields.
 */
#ifndef COURIER_RESULT_H
#define COURIER_RESULT_H

#include "courier/job.h"
#include "format/reply.h"

static inline bool result_is_open(const struct job *job, size_t recipient)
{
    return job->results[recipient].verdict == JOB_NOT_TRIED;
}

/* How many are undecided. */
size_t results_open(const struct job *job);

/* What the other side said to one recipient: sent, later or failed by its class. */
void result_by_reply(struct job *job, size_t recipient, const struct reply *reply);
/* The same of its class, but not this one: 552 for too many recipients, say. */
void result_later(struct job *job, size_t recipient, const struct reply *reply);
/* To all that are undecided. `status` is a literal: "5.4.6". */
void results_say(struct job *job, enum job_verdict verdict, const char *status, struct str text);

/* The host that is talked with from now on. */
void job_meets(struct job *job, struct str host);
/* Why this host could not be used, by its words or ours. The last counts, but a host that spoke
 * stands before those that were not reached. `reply` NULL: it said nothing. */
void job_note(struct job *job, enum job_trouble trouble, const struct reply *reply,
              struct str text);
/* No host is left: who is undecided is to be tried later, for what was noted last. */
void job_noted_to_all(struct job *job);

#endif
