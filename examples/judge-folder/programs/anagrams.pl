# Groups words that are anagrams of one another: an honest submission.
# expect: ok
use strict;
use warnings;

my %group;
for my $word (qw(listen silent enlist google elbow below state taste tinsel)) {
    push @{ $group{ join '', sort split //, $word } }, $word;
}
print join(' ', sort @$_), "\n" for grep { @$_ > 1 } map { $group{$_} } sort keys %group;
