// The test guest's work. Numbered records go to two files in a fixed order, each made durable before the next begins:
// at any instant last(second) <= last(first) <= last(second) + 1. The same number is kept in memory, where it is also
// spread over many pages whose sum is known, so that a torn memory image shows itself.
//   workload FIRST SECOND MEBIBYTES   records, one line "n <number> <largest gap in us> mem <ok|bad>" ten times a second
//   workload ticks FILE               a counter, once a millisecond: the host measures the gaps by its own clock
//   workload last FILE                prints the number of the last whole record of a file, or "bad"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct record { uint64_t number, check; unsigned char body[496]; };

static uint64_t check_of(uint64_t n) { return (n ^ 0x5eed5eed5eed5eedULL) * 0x9e3779b97f4a7c15ULL; }

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void fail(const char *what) { perror(what); exit(1); }

static uint64_t last_of(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0) return 0;
    struct record r;
    uint64_t n = 0;
    while (read(fd, &r, sizeof r) == sizeof r && r.number == n + 1 && r.check == check_of(r.number)) n++;
    close(fd);
    return n;
}

static void put(int fd, uint64_t n)
{
    struct record r = { n, check_of(n), { 0 } };
    memset(r.body, (int)(n & 0xff), sizeof r.body);
    if (pwrite(fd, &r, sizeof r, (off_t)((n - 1) * sizeof r)) != sizeof r) fail("write");
    if (fdatasync(fd) != 0) fail("fdatasync");
}

_Noreturn static void ticks(const char *path)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0) fail(path);
    struct timespec pause = { 0, 1000000 };
    for (uint64_t n = 1;; n++) {
        if (write(fd, &n, sizeof n) != sizeof n) fail("tick");
        nanosleep(&pause, NULL);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "ticks") == 0) ticks(argv[2]);
    if (argc == 3 && strcmp(argv[1], "last") == 0) { printf("%llu\n", (unsigned long long)last_of(argv[2])); return 0; }
    if (argc != 4) return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    int first = open(argv[1], O_RDWR | O_CREAT, 0600), second = open(argv[2], O_RDWR | O_CREAT, 0600);
    if (first < 0 || second < 0) fail("open");
    size_t pages = (size_t)atoi(argv[3]) * 256, stride = 4096 / sizeof(uint64_t);
    uint64_t *memory = malloc(pages * 4096), sum = 0, seed = 88172645463325252ULL;
    if (memory == NULL) fail("malloc");
    for (size_t p = 0; p < pages; p++)
        for (size_t w = 0; w < stride; w++) memory[p * stride + w] = p * w;
    for (size_t p = 0; p < pages; p++) sum += memory[p * stride];
    uint64_t n = last_of(argv[1]), before = now_us(), gap = 0, printed = 0;
    uint64_t other = last_of(argv[2]);
    if (other != n && other + 1 != n) { printf("workload: out of order: %llu then %llu\n", (unsigned long long)n, (unsigned long long)other); return 3; }
    if (other < n) put(second, n);
    for (;;) {
        n++;
        put(first, n);
        put(second, n);
        for (int i = 0; i < 64; i++) {
            seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17;
            size_t p = seed % pages;
            sum += n - memory[p * stride];
            memory[p * stride] = n;
        }
        uint64_t now = now_us();
        if (now - before > gap) gap = now - before;
        before = now;
        if (now - printed > 100000) {
            uint64_t real = 0;
            for (size_t p = 0; p < pages; p++) real += memory[p * stride];
            printf("n %llu gap %llu mem %s\n", (unsigned long long)n, (unsigned long long)gap, real == sum ? "ok" : "bad");
            printed = before = now_us();
            gap = 0;
        }
    }
}
