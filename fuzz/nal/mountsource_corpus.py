#!/usr/bin/python3
"""Makes fuzz/corpus/mountsource: fuzz/nal/mountsource_corpus.py"""
import pathlib

HERE = pathlib.Path(__file__).resolve().parent.parent / "corpus" / "mountsource"
INPUTS = [  # type, source and root, as the target reads them
    b'cifs\n//DP2/PKG$/sub dir\n/sub dir',
    b'cifs\n//dp4/p\n/deep',
    b'nfs4\nnas:/export\n/a',
    b'nfs\n[2001:db8::1]:/x',
    b'fuse\nhttp://web:8080/packway/\n/b',
    b'fuse.rclone\n//[x/y',
    b'fuse.bindfs\n/srv/dp\n/q',
    b'fuse.gvfsd-fuse\nsmb-share:server=nas,share=pub%20x',
    b'fuse\nsmb-share:server=nas,user=a',
    b'fuse\nsftp:host=a',
    b'ext4\n/dev/vda',
    b'smb3\n//2001:db8::1/p',
    b'nfs\nnothing',
    b'fuse.gvfsd-fuse\nsmb-share:port=1445,server=nas,share=pub lic',
    b'fuse.gvfsd-fuse\ndav:host=web,ssl=true,prefix=%2Fpack%2520way',
    b'fuse.gvfsd-fuse\ndav:host=2001:db8::1,port=8080,ssl=false,prefix=%2Fp',
    b'fuse.gvfsd-fuse\nnfs:host=nas,prefix=%2Fexport',
    b'fuse.gvfsd-fuse\nsmb-share:port=x,server=nas,share=%2e%2e',
    b'fuse.sshfs\nadmin@dp11:/srv/packway\n/sub',
    b'fuse.sshfs\nadmin@dp11:',
    b'nfs4\n[2001:db8::1]:/export\n/',
    b'fuse.rclone\nsmb://dp21:1445/packway\n/deep',
    b'smb3\n//2001:db8::20/packway',
    b'fuse.gvfsd-fuse\ndav:host=,prefix=',
]

for number, text in enumerate(INPUTS):
    (HERE / f"{number:02}").write_bytes(text)
