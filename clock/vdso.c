#include "clock/vdso.h"

#include "base/duration.h"

#include <assert.h>
#include <elf.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* The replacement: its words first, then its three functions, all addressed relative to
 * themselves, so that the whole can be copied to any place. Clock numbers as <linux/time.h> has
 * them: 1, 4, 6, 7, 9 are monotonic (raw, coarse, boot time), 0, 5, 8, 11 real time (TAI differs
 * from it by an offset that is 0 on nearly all machines). Others (processor time) are left to the
 * kernel. */
struct words {
    int64_t monotonic_s;
    int64_t monotonic_ns;
    int64_t realtime_s;
    int64_t realtime_ns;
    int64_t realtime_us;
    int64_t traced;
    int64_t zero[2];
};

#if defined(__x86_64__)
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        ".globl vdso_patch_start, vdso_patch_end\n"
        ".globl vdso_patch_clock_gettime, vdso_patch_gettimeofday, vdso_patch_time\n"
        ".hidden vdso_patch_start, vdso_patch_end\n"
        ".hidden vdso_patch_clock_gettime, vdso_patch_gettimeofday, vdso_patch_time\n"
        "vdso_patch_start:\n"
        "1: .quad 0, 0, 0, 0, 0, 0, 0, 0\n"
        "vdso_patch_clock_gettime:\n"
        "   cmpl $0, 1b+40(%rip)\n"
        "   jne 5f\n"
        "   cmpl $11, %edi\n"
        "   ja 5f\n"
        "   movl $0x2d2, %eax\n"
        "   btl %edi, %eax\n"
        "   jnc 3f\n"
        "   movq 1b(%rip), %rax\n"
        "   movq 1b+8(%rip), %rdx\n"
        "   jmp 4f\n"
        "3: movl $0x921, %eax\n"
        "   btl %edi, %eax\n"
        "   jnc 5f\n"
        "   movq 1b+16(%rip), %rax\n"
        "   movq 1b+24(%rip), %rdx\n"
        "4: movq %rax, (%rsi)\n"
        "   movq %rdx, 8(%rsi)\n"
        "   xorl %eax, %eax\n"
        "   ret\n"
        "5: movl $228, %eax\n" /* SYS_clock_gettime */
        "   syscall\n"
        "   ret\n"
        "vdso_patch_gettimeofday:\n"
        "   cmpl $0, 1b+40(%rip)\n"
        "   jne 5f\n"
        "   testq %rsi, %rsi\n"
        "   jne 5f\n"
        "   testq %rdi, %rdi\n"
        "   je 4f\n"
        "   movq 1b+16(%rip), %rax\n"
        "   movq 1b+32(%rip), %rdx\n"
        "   movq %rax, (%rdi)\n"
        "   movq %rdx, 8(%rdi)\n"
        "4: xorl %eax, %eax\n"
        "   ret\n"
        "5: movl $96, %eax\n" /* SYS_gettimeofday */
        "   syscall\n"
        "   ret\n"
        "vdso_patch_time:\n"
        "   cmpl $0, 1b+40(%rip)\n"
        "   jne 5f\n"
        "   movq 1b+16(%rip), %rax\n"
        "   testq %rdi, %rdi\n"
        "   je 4f\n"
        "   movq %rax, (%rdi)\n"
        "4: ret\n"
        "5: movl $201, %eax\n" /* SYS_time */
        "   syscall\n"
        "   ret\n"
        "vdso_patch_end:\n"
        ".popsection\n");
extern const char vdso_patch_start[], vdso_patch_end[], vdso_patch_clock_gettime[],
    vdso_patch_gettimeofday[], vdso_patch_time[];
#endif

enum {
    IMAGE_BYTES_MAX = 64 * 1024, /* the vDSO has two pages */
    PATCH_BYTES_MAX = 1024,
    JUMP_BYTES = 5, /* jmp rel32 */
};

static_assert(offsetof(struct words, zero) == VDSO_ZERO_OFFSET, "as the header says");

static struct words words_of(const struct vdso_time *time)
{
    return (struct words){
        .monotonic_s = time->monotonic_ns / NS_PER_S,
        .monotonic_ns = time->monotonic_ns % NS_PER_S,
        .realtime_s = time->realtime_ns / NS_PER_S,
        .realtime_ns = time->realtime_ns % NS_PER_S,
        .realtime_us = time->realtime_ns % NS_PER_S / NS_PER_US,
        .traced = time->traced,
    };
}

bool vdso_set_time(int memory_fd, uint64_t address, const struct vdso_time *time)
{
    struct words words = words_of(time);
    return pwrite(memory_fd, &words, sizeof words, (off_t)address) == (ssize_t)sizeof words;
}

#if defined(__x86_64__)

/* One of the vDSO's functions: where it is and how much room it has. */
struct function {
    const char *name;
    uint64_t offset;
    uint64_t size;
};

/* Whether [offset, offset + size) lies in an image of `length` bytes. */
static bool is_inside(uint64_t offset, uint64_t size, size_t length)
{
    return offset <= length && size <= length - offset;
}

/* Reads the dynamic symbols by the section headers, which the vDSO has. */
static bool find_functions(const char *image, size_t length, struct function *functions,
                           size_t count)
{
    const Elf64_Ehdr *header = (const void *)image;
    if (length < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64 ||
        !is_inside(header->e_shoff, (uint64_t)header->e_shnum * sizeof(Elf64_Shdr), length))
        return false;
    const Elf64_Shdr *sections = (const void *)(image + header->e_shoff);
    size_t found = 0;
    for (size_t i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_DYNSYM || sections[i].sh_link >= header->e_shnum)
            continue;
        const Elf64_Shdr *names = &sections[sections[i].sh_link];
        if (!is_inside(sections[i].sh_offset, sections[i].sh_size, length) ||
            !is_inside(names->sh_offset, names->sh_size, length))
            return false;
        const Elf64_Sym *symbols = (const void *)(image + sections[i].sh_offset);
        for (size_t j = 0; j < sections[i].sh_size / sizeof *symbols; j++) {
            if (symbols[j].st_name >= names->sh_size)
                return false;
            const char *name = image + names->sh_offset + symbols[j].st_name;
            for (size_t k = 0; k < count; k++) {
                if (strncmp(name, functions[k].name, names->sh_size - symbols[j].st_name) != 0)
                    continue;
                functions[k].offset = symbols[j].st_value;
                functions[k].size = symbols[j].st_size;
                found += is_inside(symbols[j].st_value, symbols[j].st_size, length);
            }
        }
    }
    return found == count;
}

static bool write_jump(int memory_fd, uint64_t from, uint64_t to)
{
    unsigned char jump[JUMP_BYTES] = {0xe9};
    int32_t distance = (int32_t)((int64_t)to - (int64_t)from - JUMP_BYTES);
    memcpy(jump + 1, &distance, sizeof distance);
    return pwrite(memory_fd, jump, sizeof jump, (off_t)from) == (ssize_t)sizeof jump;
}

uint64_t vdso_replace(int memory_fd, uint64_t base, const struct vdso_time *time)
{
    static const size_t alignment = 16;
    _Alignas(16) char image[IMAGE_BYTES_MAX];
    struct function functions[] = {
        {"__vdso_clock_gettime", 0, 0}, {"__vdso_gettimeofday", 0, 0}, {"__vdso_time", 0, 0}};
    const char *const entries[] = {vdso_patch_clock_gettime, vdso_patch_gettimeofday,
                                   vdso_patch_time};
    enum { FUNCTION_COUNT = sizeof functions / sizeof functions[0] };
    ssize_t length = pread(memory_fd, image, sizeof image, (off_t)base);
    if (length <= 0 || !find_functions(image, (size_t)length, functions, FUNCTION_COUNT))
        return 0;

    /* All goes into the room of clock_gettime, the largest; the others get a jump there. */
    size_t patch_length = (size_t)(vdso_patch_end - vdso_patch_start);
    uint64_t room = base + functions[0].offset;
    uint64_t place = (room + JUMP_BYTES + alignment - 1) / alignment * alignment;
    if (patch_length > PATCH_BYTES_MAX || place + patch_length > room + functions[0].size ||
        functions[1].size < JUMP_BYTES || functions[2].size < JUMP_BYTES)
        return 0;
    char patch[PATCH_BYTES_MAX];
    struct words words = words_of(time);
    memcpy(patch, vdso_patch_start, patch_length);
    memcpy(patch, &words, sizeof words);
    if (pwrite(memory_fd, patch, patch_length, (off_t)place) != (ssize_t)patch_length)
        return 0;
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        uint64_t entry = place + (uint64_t)(entries[i] - vdso_patch_start);
        if (!write_jump(memory_fd, base + functions[i].offset, entry))
            return 0;
    }
    return place;
}

#else

uint64_t vdso_replace(int memory_fd, uint64_t base, const struct vdso_time *time)
{
    (void)memory_fd;
    (void)base;
    (void)time;
    return 0;
}

#endif
