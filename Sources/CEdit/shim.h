// From Debian's libedit-dev.
#include <editline/readline.h>
// getopt_long and its struct option, which Swift's Glibc module leaves out.
#include <getopt.h>
