/* peer: whether the other end of a connection has closed for good, or only its sending side.
 *
 * On the wire both are the same FIN. A client that half-closes still waits for its answer; one that
 * has closed (its time-out, its end) does not, and must not keep its place among the concurrent
 * requests until an answer was due that nobody reads. For an end on this machine the kernel knows
 * which it is, and says so to everybody: sock_diag(7), as `ss` uses it. It knows before the FIN is
 * sent, so there is no race between the FIN and the question.
 */
#ifndef TOOMANY_MOCKSERVER_PEER_H
#define TOOMANY_MOCKSERVER_PEER_H

enum peer_state {
    PEER_READS,   /* it can still read */
    PEER_CLOSED,  /* nobody will read what is sent */
    PEER_UNKNOWN, /* on another machine, or the kernel does not tell */
};

/* `fd` is a connected TCP socket. */
enum peer_state peer_state_of(int fd);

#endif
