# Perl with core modules, a child, a pipe, sorting and regular expressions.
use strict;
use warnings;
use File::Temp qw(tempfile);
use List::Util qw(sum max);
use POSIX qw(floor);

my ($handle, $name) = tempfile();
print $handle join "\n", 1 .. 10;
close $handle;
open my $in, '<', $name or die $!;
my @numbers = map { chomp; $_ } <$in>;
print sum(@numbers), ' ', max(@numbers), ' ', floor(2.5), "\n";
print `echo from a child`;
my $pid = fork // die $!;
exit 3 if $pid == 0;
waitpid $pid, 0;
print $? >> 8, "\n";
print join(',', 'a1b22' =~ /(\d+)/g), "\n";
