/*
 * The scheduler. What can happen now is an array of due events (deliveries, jobs, clients, the
 * driver's) and the loops that have something to do; the seed picks one of all of these, evenly.
 * What happens later is a heap. Loops are few and asked each time, because their tasks and timers
 * change under anybody's hands.
 *
 * Readiness is level-triggered, as the server's. A watch that may be ready is "hot"; whether it is
 * so is asked of its thing when its loop looks, and a watch that is not cools down until its thing
 * stirs again. So 10,000 idle connections cost nothing.
 */
#include "sys/fake/inner.h"

enum {
    LOOK_MOST = 8, /* watches served in one look, at most, so that turns differ by seed */
    DEFAULT_SPIN = 1000000
};

/* ---- Events ---- */

static bool heap_before(const struct fake_event *a, const struct fake_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_place(struct fake_inner *w, size_t i, struct fake_event *event)
{
    w->heap[i] = event;
    event->heap_place = i + 1;
}

static void heap_up(struct fake_inner *w, size_t i, struct fake_event *event)
{
    while (i > 0 && heap_before(event, w->heap[(i - 1) / 2])) {
        heap_place(w, i, w->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_place(w, i, event);
}

static void heap_down(struct fake_inner *w, size_t i, struct fake_event *event)
{
    for (;;) {
        size_t below = 2 * i + 1;
        if (below + 1 < w->heap_count && heap_before(w->heap[below + 1], w->heap[below]))
            below++;
        if (below >= w->heap_count || !heap_before(w->heap[below], event))
            break;
        heap_place(w, i, w->heap[below]);
        i = below;
    }
    heap_place(w, i, event);
}

static void room_for_one(struct fake_event ***array, size_t count, size_t *room)
{
    if (count < *room)
        return;
    *room = *room ? *room * 2 : 64;
    *array = realloc(*array, *room * sizeof(**array));
    must(*array);
}

void fake_event_clear(struct fake_world *fake, struct fake_event *event)
{
    struct fake_inner *w = fake_inner_in(fake);
    if (event->heap_place) {
        size_t i = event->heap_place - 1;
        struct fake_event *last = w->heap[--w->heap_count];
        event->heap_place = 0;
        if (last != event && i > 0 && heap_before(last, w->heap[(i - 1) / 2]))
            heap_up(w, i, last);
        else if (last != event)
            heap_down(w, i, last);
    }
    if (event->ready_place) {
        size_t i = event->ready_place - 1;
        w->ready[i] = w->ready[--w->ready_count];
        w->ready[i]->ready_place = i + 1;
        event->ready_place = 0;
    }
}

static void make_ready(struct fake_inner *w, struct fake_event *event)
{
    room_for_one(&w->ready, w->ready_count, &w->ready_room);
    w->ready[w->ready_count++] = event;
    event->ready_place = w->ready_count;
}

void fake_event_set(struct fake_world *fake, struct fake_event *event, int64_t at)
{
    struct fake_inner *w = fake_inner_in(fake);
    must(event->run);
    fake_event_clear(fake, event);
    event->at = at;
    event->order = w->orders++;
    if (at <= w->mono) {
        make_ready(w, event);
        return;
    }
    room_for_one(&w->heap, w->heap_count, &w->heap_room);
    heap_up(w, w->heap_count++, event);
}

/* ---- Watches ---- */

static struct fake_loop *loop_of(const struct loop *loop)
{
    must_be(loop, LOOP_MAGIC);
    must(loop->backend);
    return loop->backend;
}

static void heat(struct fake_inner *w, struct fake_watch *watch)
{
    struct fake_loop *loop = watch->loop;
    if (watch->hot)
        return;
    watch->hot = true;
    if (fake_random_below(&w->random.schedule, 2))
        TAILQ_INSERT_HEAD(&loop->hot, watch, by_heat);
    else
        TAILQ_INSERT_TAIL(&loop->hot, watch, by_heat);
}

static void cool(struct fake_watch *watch)
{
    if (watch->hot)
        TAILQ_REMOVE(&watch->loop->hot, watch, by_heat);
    watch->hot = false;
}

void fake_thing_stir(struct fake_inner *w, struct fake_thing *thing)
{
    struct fake_watch *watch;
    TAILQ_FOREACH (watch, &thing->watches, by_thing)
        heat(w, watch);
}

static void watch_free(struct fake_watch *watch)
{
    cool(watch);
    TAILQ_REMOVE(&watch->thing->watches, watch, by_thing);
    TAILQ_REMOVE(&watch->loop->watches, watch, by_loop);
    free(watch);
}

static unsigned watch_ready(const struct fake_watch *watch)
{
    return fake_thing_ready(watch->thing) & watch->watch->want;
}

int fake_op_watch_begin(struct world *world, struct loop *loop, struct watch *watch)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_WATCH_BEGIN, .handle = watch->handle, .how = watch->want};
    int e = fake_call_begin(w, &call);
    if (e < 0)
        return (int)fake_call_end(w, &call, e);
    struct fake_watch *made = fake_take(sizeof(*made));
    made->thing = fake_handle_thing(w, watch->handle);
    made->loop = loop_of(loop);
    made->watch = watch;
    must(made->thing->kind != FAKE_FILE && made->thing->kind != FAKE_FOLDER);
    TAILQ_INSERT_TAIL(&made->thing->watches, made, by_thing);
    TAILQ_INSERT_TAIL(&made->loop->watches, made, by_loop);
    watch->backend = made;
    heat(w, made);
    return (int)fake_call_end(w, &call, 0);
}

void fake_op_watch_want(struct world *world, struct loop *loop, struct watch *watch)
{
    must(!watch->backend || ((struct fake_watch *)watch->backend)->loop == loop_of(loop));
    if (watch->backend)
        heat(fake_inner_of(world), watch->backend);
}

void fake_op_watch_end(struct world *world, struct loop *loop, struct watch *watch)
{
    (void)world;
    (void)loop;
    if (watch->backend)
        watch_free(watch->backend);
    watch->backend = NULL;
}

/* ---- Lanes ---- */

static void lane_pump(struct fake_inner *w, struct fake_lane *lane);

static void job_run(struct fake_world *fake, struct fake_event *event)
{
    struct fake_inner *w = fake_inner_in(fake);
    struct fake_job *job = event->arg;
    struct fake_lane *lane = job->lane;
    int role = lane->loop->role;
    fake_note(w, 'j', (uint64_t)role);
    TAILQ_REMOVE(&lane->running, job, link);
    TAILQ_INSERT_TAIL(&lane->finished, job, link);
    int before = fake_role_enter(fake, role);
    job->job->run(job->job);
    fake_role_enter(fake, before);
    lane->busy--;
    if (!w->roles[role].dying)
        lane_pump(w, lane);
}

static void lane_pump(struct fake_inner *w, struct fake_lane *lane)
{
    struct fake_job *job;
    while (lane->busy < lane->lane->threads && (job = TAILQ_FIRST(&lane->queued))) {
        TAILQ_REMOVE(&lane->queued, job, link);
        TAILQ_INSERT_TAIL(&lane->running, job, link);
        lane->busy++;
        int64_t at = w->mono;
        if (w->settings.job_most > 0)
            at += (int64_t)fake_random_below(&w->random.schedule, (uint64_t)w->settings.job_most);
        fake_event_set(&w->shown, &job->event, at);
    }
}

int fake_op_lane_begin(struct world *world, struct lane *lane)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_LANE_BEGIN, .name = str_from(lane->name)};
    int e = fake_call_begin(w, &call);
    if (e < 0)
        return (int)fake_call_end(w, &call, e);
    struct fake_lane *made = fake_take(sizeof(*made));
    made->loop = loop_of(lane->loop);
    made->lane = lane;
    TAILQ_INIT(&made->queued);
    TAILQ_INIT(&made->running);
    TAILQ_INIT(&made->finished);
    TAILQ_INSERT_TAIL(&made->loop->lanes, made, link);
    lane->backend = made;
    return (int)fake_call_end(w, &call, 0);
}

void fake_op_lane_submit(struct world *world, struct lane *lane, struct job *job)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_LANE_SUBMIT, .name = str_from(lane->name)};
    fake_call_begin(w, &call);
    struct fake_job *made = fake_take(sizeof(*made));
    made->lane = lane->backend;
    made->job = job;
    made->event.run = job_run;
    made->event.arg = made;
    TAILQ_INSERT_TAIL(&made->lane->queued, made, link);
    lane_pump(w, made->lane);
    fake_call_end(w, &call, 0);
}

/* The first job that was run and not reported, if any, is. */
static bool lane_report(struct fake_lane *lane)
{
    struct fake_job *finished = TAILQ_FIRST(&lane->finished);
    if (!finished)
        return false;
    struct job *job = finished->job;
    TAILQ_REMOVE(&lane->finished, finished, link);
    free(finished);
    lane->lane->waiting--;
    job->done(job);
    return true;
}

static void jobs_free(struct fake_inner *w, struct fake_jobs *jobs)
{
    struct fake_job *job;
    while ((job = TAILQ_FIRST(jobs))) {
        fake_event_clear(&w->shown, &job->event);
        TAILQ_REMOVE(jobs, job, link);
        free(job);
    }
}

static void lane_free(struct fake_inner *w, struct fake_lane *lane)
{
    jobs_free(w, &lane->queued);
    jobs_free(w, &lane->running);
    jobs_free(w, &lane->finished);
    TAILQ_REMOVE(&lane->loop->lanes, lane, link);
    free(lane);
}

static void run_at_once(struct fake_inner *w, struct fake_lane *lane)
{
    struct fake_job *job;
    int before = fake_role_enter(&w->shown, 0);
    while ((job = TAILQ_FIRST(&lane->running))) {
        fake_event_clear(&w->shown, &job->event);
        job_run(&w->shown, &job->event);
    }
    fake_role_enter(&w->shown, before);
}

/* What `done` submits is finished too. */
void fake_op_lane_end(struct world *world, struct lane *lane)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_lane *ended = lane->backend;
    do
        run_at_once(w, ended);
    while (lane_report(ended));
    lane_free(w, ended);
    lane->backend = NULL;
}

/* ---- Loops ---- */

int fake_op_loop_begin(struct world *world, struct loop *loop)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_LOOP_BEGIN};
    int e = fake_call_begin(w, &call);
    if (e == 0) {
        struct fake_loop *made = fake_take(sizeof(*made));
        made->loop = loop;
        made->role = w->running;
        TAILQ_INIT(&made->watches);
        TAILQ_INIT(&made->hot);
        TAILQ_INIT(&made->lanes);
        TAILQ_INSERT_TAIL(&w->loops, made, link);
        loop->backend = made;
    }
    return (int)fake_call_end(w, &call, e);
}

/* The role's own memory may be gone already: it is not touched. */
static void loop_free(struct fake_inner *w, struct fake_loop *loop)
{
    while (!TAILQ_EMPTY(&loop->watches))
        watch_free(TAILQ_FIRST(&loop->watches));
    while (!TAILQ_EMPTY(&loop->lanes))
        lane_free(w, TAILQ_FIRST(&loop->lanes));
    TAILQ_REMOVE(&w->loops, loop, link);
    free(loop);
}

void fake_op_loop_end(struct world *world, struct loop *loop)
{
    struct fake_loop *ended = loop_of(loop);
    must(TAILQ_EMPTY(&ended->lanes));
    loop_free(fake_inner_of(world), ended);
    loop->backend = NULL;
}

void fake_loops_end(struct fake_inner *w, int role)
{
    struct fake_loop *loop = TAILQ_FIRST(&w->loops), *next;
    for (; loop; loop = next) {
        next = TAILQ_NEXT(loop, link);
        if (loop->role == role)
            loop_free(w, loop);
    }
}

static bool has_ready_watch(struct fake_loop *loop)
{
    struct fake_watch *watch;
    while ((watch = TAILQ_FIRST(&loop->hot))) {
        if (watch_ready(watch))
            return true;
        cool(watch);
    }
    return false;
}

static bool has_finished_job(const struct fake_loop *loop)
{
    const struct fake_lane *lane;
    TAILQ_FOREACH (lane, &loop->lanes, link)
        if (!TAILQ_EMPTY(&lane->finished))
            return true;
    return false;
}

static void report_jobs(struct fake_loop *loop)
{
    struct fake_lane *lane;
    TAILQ_FOREACH (lane, &loop->lanes, link) {
        const struct fake_job *last = TAILQ_LAST(&lane->finished, fake_jobs);
        const struct fake_job *first = NULL;
        while (last && first != last) {
            first = TAILQ_FIRST(&lane->finished);
            lane_report(lane);
        }
    }
}

/* Calls the watches that are ready, each at most once: those seen in this round go to the tail. */
static void serve_watches(struct fake_inner *w, struct fake_loop *loop)
{
    uint64_t most = 1 + fake_random_below(&w->random.schedule, LOOK_MOST);
    struct fake_watch *watch;
    loop->round++;
    while (most > 0 && (watch = TAILQ_FIRST(&loop->hot)) && watch->round != loop->round) {
        unsigned ready = watch_ready(watch);
        cool(watch);
        if (!ready)
            continue;
        watch->hot = true;
        watch->round = loop->round;
        TAILQ_INSERT_TAIL(&loop->hot, watch, by_heat);
        most--;
        watch->watch->ready(watch->watch, ready);
    }
}

/* What the loop would learn from waiting. The loop must be entered. */
static void look(struct fake_inner *w, struct fake_loop *loop)
{
    loop->loop->now = w->mono;
    report_jobs(loop);
    if (!w->roles[w->running].dying)
        serve_watches(w, loop);
}

/* ---- Steps ---- */

static void bury(struct fake_inner *w)
{
    for (int role = 1; role < FAKE_ROLES; role++) {
        if (!w->roles[role].open || !w->roles[role].dying)
            continue;
        fake_kill_role(&w->shown, role);
        if (w->on_death)
            w->on_death(&w->shown, role, w->on_death_arg);
    }
}

static bool can_turn(struct fake_inner *w, struct fake_loop *loop, const struct fake_loop *except)
{
    if (loop == except || loop->loop->stopping || w->roles[loop->role].dying)
        return false;
    return loop_next(loop->loop) <= w->mono || has_finished_job(loop) || has_ready_watch(loop);
}

static void turn(struct fake_inner *w, struct fake_loop *loop)
{
    struct loop *turned = loop->loop;
    int role = loop->role, before = fake_role_enter(&w->shown, role);
    fake_note(w, 't', (uint64_t)role);
    look(w, loop);
    if (!w->roles[role].dying)
        loop_turn(turned);
    fake_role_enter(&w->shown, before);
}

static void run_event(struct fake_inner *w, size_t i)
{
    struct fake_event *event = w->ready[i];
    fake_event_clear(&w->shown, event);
    event->run(&w->shown, event);
}

static void ready_what_is_due(struct fake_inner *w)
{
    while (w->heap_count > 0 && w->heap[0]->at <= w->mono) {
        struct fake_event *event = w->heap[0];
        fake_event_clear(&w->shown, event);
        make_ready(w, event);
    }
}

/* One thing that can happen now, chosen evenly. */
static bool step_now(struct fake_inner *w, const struct fake_loop *except)
{
    ready_what_is_due(w);
    struct fake_loop *loop;
    size_t loops = 0;
    TAILQ_FOREACH (loop, &w->loops, link)
        loops += can_turn(w, loop, except);
    size_t all = w->ready_count + loops;
    if (all == 0)
        return false;
    size_t choice = (size_t)fake_random_below(&w->random.schedule, all);
    w->shown.steps++;
    w->steps_now++;
    if (choice < w->ready_count) {
        run_event(w, choice);
        return true;
    }
    choice -= w->ready_count;
    TAILQ_FOREACH (loop, &w->loops, link)
        if (can_turn(w, loop, except) && choice-- == 0)
            break;
    must(loop);
    turn(w, loop);
    return true;
}

static int64_t next_time(const struct fake_inner *w, const struct fake_loop *except)
{
    int64_t next = w->heap_count > 0 ? w->heap[0]->at : INT64_MAX;
    const struct fake_loop *loop;
    TAILQ_FOREACH (loop, &w->loops, link) {
        if (loop == except || loop->loop->stopping)
            continue;
        int64_t at = loop_next(loop->loop);
        next = at < next ? at : next;
    }
    return next;
}

static void time_to(struct fake_inner *w, int64_t at)
{
    must(at >= w->mono);
    w->mono = at;
    w->steps_now = 0;
    fake_note(w, 'T', (uint64_t)at);
}

bool fake_step(struct fake_world *fake, int64_t until)
{
    struct fake_inner *w = fake_inner_in(fake);
    must(w->running == 0);
    bury(w);
    while (!step_now(w, NULL)) {
        int64_t next = next_time(w, NULL);
        if (next == INT64_MAX || next > until)
            return false;
        time_to(w, next);
    }
    bury(w);
    return true;
}

enum fake_end fake_run(struct fake_world *fake, int64_t until)
{
    struct fake_inner *w = fake_inner_in(fake);
    uint64_t spin = w->settings.spin_most ? w->settings.spin_most : DEFAULT_SPIN;
    w->stop = false;
    while (fake_step(fake, until)) {
        if (w->stop)
            return FAKE_STOPPED;
        if (w->steps_now >= spin)
            return FAKE_SPINS;
    }
    if (next_time(w, NULL) == INT64_MAX)
        return FAKE_IDLE;
    if (until > w->mono)
        time_to(w, until);
    return FAKE_UNTIL;
}

void fake_stop(struct fake_world *fake)
{
    fake_inner_in(fake)->stop = true;
}

/*
 * A loop that waits by itself (loop_run in a unit test): the rest of the world goes on until it has
 * something to do.
 */
void fake_op_wait(struct world *world, struct loop *loop, int64_t deadline)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_loop *waiting = loop_of(loop);
    int before = fake_role_enter(&w->shown, 0);
    while (!has_finished_job(waiting) && !has_ready_watch(waiting) && w->mono < deadline) {
        if (step_now(w, waiting))
            continue;
        int64_t next = next_time(w, waiting);
        next = next < deadline ? next : deadline;
        must(next != INT64_MAX); /* else it would wait for ever, and nothing else can happen */
        time_to(w, next);
    }
    fake_role_enter(&w->shown, before);
    look(w, waiting);
}
