import subprocess,time,json
def t(f):
    r=[]
    for i in range(7):
        a=time.time(); p=subprocess.Popen(["/tmp/sipcore-snap","core",f],stdout=subprocess.PIPE,stderr=subprocess.DEVNULL); p.stdout.readline(); r.append((time.time()-a)*1000); p.terminate(); p.wait()
    return sorted(round(x,1) for x in r)
print("a.yaml (http)",t("a.yaml")); print("bench.yaml 300k subscribers",t("/tmp/sip-bench-0/bench.yaml"))
