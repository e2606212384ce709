#!/usr/bin/python3
"""Makes fuzz/corpus/{regfile,credentialfile}: fuzz/nal/text_corpus.py"""
import pathlib

HERE = pathlib.Path(__file__).resolve().parent.parent / "corpus"
NAL = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\NAL\Client"
LISTS = NAL + r"\Preferred AbExprtDB"


def path(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"=""'


SMS = [
    f"[{NAL}]", '"Use Preferred Servers"=dword:00000001', '"Use Existing Connections"="0"',
    '"Use Random Path Selection"=hex(4):00,00,00,00', "@=\"default\"", '"gone"=-', "",
    f"[{LISTS}\\CAP List for site LON]",
    path(r'["Display=\\CAP1\"]MSWNET:["SMS_SITE=LON"]\\CAP1\CAP_LON' + "\\"), "",
    f"[{LISTS}\\DP List for site LON]",
    path(r'["Display=\\S\"]MSWNET:["SMS_SITE=LON","PREFERRED"]\\S\SMSPKGD$\LON00001' + "\\"),
    path(r'["Display=T"]NWNDS:["SMS_SITE=LON"]\\T\V.O.N\PKG' + "\\"),
    path(r"\\caf" + "\u00e9" + r"\p" + "\\"), path("NWBIND:\\\\NW1\\SYS\\P"), '"two\nlines"="a\nb"',
    "[-HKEY_LOCAL_MACHINE\\gone]", '"x"=dword:1', "; a comment",
    f"[{NAL}]", '"bytes"=hex:01,02,\\', "  03,04 ; behind", '"empty"=hex(2):', '"big"=hex(b):' +
    ",".join(["ff"] * 8),
]
V5, V4 = "Windows Registry Editor Version 5.00", "REGEDIT4"
REG = [
    "\r\n".join([V4, "", *SMS]).encode("cp1252"),
    "\n".join([V4, "", *SMS]).encode("utf-8"),
    b"\xff\xfe" + "\r\n".join([V5, "", *SMS]).encode("utf-16-le"),
    "\r\n".join([V5, "", *SMS]).encode("utf-16-le"),
    b"\xef\xbb\xbf" + "\r\n".join([V5, "", *SMS]).encode(),
    b"\xff\xfe" + (V5 + "\n[k]\n\"\U0001f600\u20ac\"=\"x\"").encode("utf-16-le"),
    b"\xff\xfe" + V5.encode("utf-16-le") + b"\n\x00\x00\xd8", b"\xff\xfe\x00",
    b"REGEDIT4\n[k]\n\"\x80\x81\x9f\"=\"\xe9\"",
    b"", b"REGEDIT4", b"[k]", b"REGEDIT4\n\"a\"=\"b\"", b"REGEDIT4\n[k\n", b"REGEDIT4\n[]\n",
    b"REGEDIT4\n[k]\n\"a", b"REGEDIT4\n[k]\n\"a\\", b"REGEDIT4\n[k]\n\"a\" \"b\"",
    b"REGEDIT4\n[k]\n\"a\"=dword:", b"REGEDIT4\n[k]\n\"a\"=hex(:01", b"REGEDIT4\n[k]\n\"a\"=hex 1",
    b"REGEDIT4\n[k]\n\"a\"=\"b\" c", b"REGEDIT4\n[k]\n\"a\"=what", b"REGEDIT4\n[k]\n\"a\0\"=\"\"",
    b"REGEDIT4\n[k]\nwhat", f"REGEDIT4\n[{NAL}]\n\"use existing connections\"=\"x\"".encode(),
    f"REGEDIT4\n[{NAL.replace('SOFTWARE', 'SOFTWARE/Wow6432Node').replace('/', chr(92))}]\n"
    "\"use existing connections\"=dword:0\n\"use random path selection\"=dword:0".encode(),
]
CREDENTIALS = [
    b"# comment\n\n[nas]\n ; another\nuser = OFFICE\\packway\nsecret = \"correct horse\"\n",
    b"[Head office]\nserver = nas1:1445/packs\nkerberos = yes\n[nas2]\r\nguest=on\r\n"
    b"[nas3/p$]\nuser=u@REALM\nsecret=a ;b #c\nset=2026-01-01T00:00:00Z 0f\n",
    b"[\\\\NAS\\packs$]\nuser=u\nsecret=\"\\\"q\\\\\"\n", b"[[fe80::1]:445/s]\nguest=1\nkerberos=0\n",
    b"[smb://nas/a%20b]\nuser=u\nsecret=p\xc3\xa4ss\n", b"[nas]\nuser=u\nsecret=p\xe4ss\n",
    b"secret=x\n", b"[nas]\nwhat\n", b"[nas]\nwhat=x\n", b"[nas]\nuser=\\u\nsecret=x\n", b"[nas\n", b"[]\n",
    b"[nas]\nuser=u\nuser=u\nsecret=x\n", b"[nas]\nuser=u\nsecret=x\nsecret=y\n", b"[nas]\nuser=u\nsecret=\n",
    b"[nas]\nuser=u\n", b"[nas]\nkerberos=yes\nguest=yes\n", b"[nas]\nkerberos=perhaps\n", b"[a b]\nguest=yes\n",
    b"[nas]\nserver=nas\nserver=nas\nguest=yes\n", b"[nas]\nserver=nas/a/b\nguest=yes\n", b"[nas]\nsecret=\"a\"b\"\n",
    b"[nas]\nuser=u\nsecret=\"a\\\"\n", b"\0", b"[nas]\n" + b"x" * 3000, b"[nas]\nuser=u\nsecret=" + b"x" * 300,
]


def write(name, files):
    folder = HERE / name
    folder.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate(files):
        (folder / f"{i:02}").write_bytes(data)


write("regfile", REG)
write("credentialfile", CREDENTIALS)
