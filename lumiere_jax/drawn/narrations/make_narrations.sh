#!/bin/sh
# Speaks first.txt and second.txt with espeak-ng as 16 kHz mono 16 bit FLAC (sox), beside them.
set -eu
cd "$(dirname "$0")"
for name in first second; do
    espeak-ng -v en-us -s 178 -p 42 -f "$name.txt" --stdout |
        sox -R -t wav - -b 16 -c 1 -C 8 "$name.flac" rate -v 16000 gain -n -3 pad 0.3 0.5
done
