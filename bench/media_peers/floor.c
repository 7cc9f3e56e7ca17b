/*
 * The least any server of one UDP socket a leg can cost: what the kernel takes for receiving and
 * sending, with nothing done in between.
 *
 * usage: floor LEGS FIRST_PORT
 *
 * Leg i receives on 127.0.0.1, port FIRST_PORT + 2 * i. Every 20 ms all that has come is read,
 * and each leg that was ever heard from is sent one packet of 172 bytes. Says "ready" when its
 * ports are bound; ends when its standard input does.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PACKET_BYTES = 172, BUFFER_BYTES = 1500, TICK_NS = 20000000 };

static int bind_leg(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("floor: bind");
        exit(1);
    }
    return fd;
}

static int input_ended(void)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    char byte;

    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: floor LEGS FIRST_PORT\n");
        return 2;
    }
    int legs = atoi(argv[1]), first_port = atoi(argv[2]);
    int *fds = calloc(legs, sizeof *fds);
    struct sockaddr_in *peers = calloc(legs, sizeof *peers);
    char in[BUFFER_BYTES], out[PACKET_BYTES] = { (char)0x80 };
    struct rlimit files;
    struct timespec next;

    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int i = 0; i < legs; i++)
        fds[i] = bind_leg(first_port + 2 * i);
    puts("ready");
    fflush(stdout);

    clock_gettime(CLOCK_MONOTONIC, &next);
    for (;;) {
        next.tv_nsec += TICK_NS;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        if (input_ended())
            return 0;
        for (int i = 0; i < legs; i++) {
            socklen_t size = sizeof peers[i];
            while (recvfrom(fds[i], in, sizeof in, MSG_DONTWAIT,
                            (struct sockaddr *)&peers[i], &size) > 0)
                size = sizeof peers[i];
        }
        for (int i = 0; i < legs; i++)
            if (peers[i].sin_port)
                sendto(fds[i], out, sizeof out, 0, (struct sockaddr *)&peers[i], sizeof peers[i]);
    }
}
