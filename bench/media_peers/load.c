/*
 * Many phones from one thread: each a UDP socket that sends 50 RTP packets of G.711 a second, and
 * counts what comes back.
 *
 * usage: load LEGS FIRST_PORT SECONDS
 *
 * Leg i sends from 127.0.0.1, port FIRST_PORT + i, to the port in line i of the standard input.
 * The legs' packets are spread evenly over the 20 ms. At the end one line of JSON: packets sent,
 * received, missing in the numbering of what was received, and milliseconds this program was late
 * at its worst.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { PACKET_BYTES = 172, HEADER_BYTES = 12, BUFFER_BYTES = 1500, SLICES = 10 };
#define SLICE_NS (20000000L / SLICES)

struct leg {
    int fd;
    unsigned last;     /* sequence number received last */
    int heard;
};

static long received, missing;

static int open_leg(int own_port, int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(own_port) };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("load: bind");
        exit(1);
    }
    address.sin_port = htons(port);
    connect(fd, (struct sockaddr *)&address, sizeof address);
    return fd;
}

static void read_leg(struct leg *leg)
{
    unsigned char in[BUFFER_BYTES];

    while (recv(leg->fd, in, sizeof in, MSG_DONTWAIT) >= HEADER_BYTES) {
        unsigned sequence = in[2] << 8 | in[3];
        if (leg->heard)
            missing += (short)(sequence - leg->last - 1) > 0 ? (short)(sequence - leg->last - 1) : 0;
        leg->heard = 1;
        leg->last = sequence;
        received++;
    }
}

static void write_header(unsigned char *packet, unsigned sequence, int leg)
{
    unsigned timestamp = sequence * 160;

    packet[2] = sequence >> 8;
    packet[3] = sequence;
    for (int i = 0; i < 4; i++) {
        packet[4 + i] = timestamp >> (24 - 8 * i);
        packet[8 + i] = (unsigned)leg >> (24 - 8 * i);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: load LEGS FIRST_PORT SECONDS\n");
        return 2;
    }
    int count = atoi(argv[1]), first_port = atoi(argv[2]);
    long ticks = atof(argv[3]) * 50, sent = 0, worst_ns = 0;
    struct leg *legs = calloc(count, sizeof *legs);
    unsigned char packet[PACKET_BYTES] = { 0x80 };
    struct rlimit files;
    struct timespec next, now;

    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int i = HEADER_BYTES; i < PACKET_BYTES; i++)
        packet[i] = rand();
    for (int i = 0; i < count; i++) {
        int port;
        if (scanf("%d", &port) != 1)
            return 2;
        legs[i].fd = open_leg(first_port + i, port);
    }

    clock_gettime(CLOCK_MONOTONIC, &next);
    for (long slice = 0; slice < ticks * SLICES; slice++) {
        int part = slice % SLICES;
        for (int i = part; i < count; i += SLICES) {
            read_leg(&legs[i]);
            write_header(packet, 1000 + slice / SLICES, i);
            sent += send(legs[i].fd, packet, sizeof packet, 0) == PACKET_BYTES;
        }
        next.tv_nsec += SLICE_NS;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        long late = (now.tv_sec - next.tv_sec) * 1000000000L + now.tv_nsec - next.tv_nsec;
        if (late > worst_ns)
            worst_ns = late;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    for (int i = 0; i < count; i++)
        read_leg(&legs[i]);
    printf("{\"sent\": %ld, \"received\": %ld, \"missing\": %ld, \"late_ms\": %.1f}\n", sent,
           received, missing, worst_ns / 1e6);
    return 0;
}
